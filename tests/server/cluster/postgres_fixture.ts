/** A Postgres of its own on loopback, for a test; it can be stopped and started again. */
import { existsSync } from "node:fs";
import pg from "pg";
import { PostgresStore } from "../../../src/server/cluster/postgres/postgres_store.ts";
import type { Store } from "../../../src/server/cluster/store.ts";
import type { StoreServer } from "./stores.ts";

/** Debian's newest, or none. */
const BINARIES = ["18", "17", "16", "15", "14"].map((version) =>
  `/usr/lib/postgresql/${version}/bin`
)
  .find((folder) => existsSync(`${folder}/initdb`));

/** Whether tests that need Postgres are left out; where everything is required they fail instead. */
export const WITHOUT_POSTGRES: boolean = BINARIES === undefined &&
  Deno.env.get("INVARDIFF_REQUIRE_ALL") === undefined;

/** Postgres refuses to be run by root: Debian's package brings a user for it. */
const AS_USER = Deno.uid() === 0
  ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
  : [];

/** A running Postgres. */
export class PostgresServer implements StoreServer {
  #child: Deno.ChildProcess | undefined;

  private constructor(
    readonly port: number,
    readonly folder: string,
    readonly args: readonly string[],
  ) {}

  /** Starts one; `settings` are like `fsync=off`, the password that of its only user, who needs none otherwise. */
  static async start(
    { settings = [], password }: {
      readonly settings?: readonly string[];
      readonly password?: string | undefined;
    } = {},
  ): Promise<PostgresServer> {
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const { port } = listener.addr;
    listener.close();
    const folder = await Deno.makeTempDir();
    await Deno.chmod(folder, 0o777);
    await makeData(`${folder}/data`, password);
    const args = settings.flatMap((setting) => ["-c", setting]);
    const server = new PostgresServer(port, folder, args);
    await server.start();
    return server;
  }

  get url(): string {
    return `postgres://invardiff@127.0.0.1:${this.port}/postgres`;
  }

  /** Starts it again, with what it saved. */
  async start(): Promise<void> {
    const { port, folder } = this;
    const args = [
      ...["-D", `${folder}/data`, "-p", `${port}`, "-h", "127.0.0.1", "-k", ""],
      ...this.args,
    ];
    for (const end = Date.now() + 20_000; Date.now() < end;) {
      this.#child ??= command("postgres", args, "null").spawn();
      const gone = this.#child.status.then(() => true);
      const later = new Promise<false>((resolve) => setTimeout(() => resolve(false), 50));
      if (await Promise.race([gone, later])) this.#child = undefined; // children of one that was killed end first
      else if (await this.#answers()) return;
    }
    throw new Error("postgres did not start");
  }

  /** Stops it: SIGTERM waits for its clients to leave, so SIGINT is what an operator sends; SIGKILL saves nothing. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    this.#child?.kill(signal === "SIGTERM" ? "SIGINT" : signal);
    await this.#child?.status;
    this.#child = undefined;
  }

  async open(keptSeconds: number): Promise<Store> {
    return await PostgresStore.open({ url: this.url, keptSeconds });
  }

  async field(id: string, name: string): Promise<string | undefined> {
    const [row] = await this.ask(`SELECT ${name} AS value FROM invardiff.task WHERE id = $1`, id);
    return row?.["value"] === undefined ? undefined : `${row["value"]}`;
  }

  async setField(id: string, name: string, value: string | number): Promise<void> {
    await this.ask(`UPDATE invardiff.task SET ${name} = $2 WHERE id = $1`, id, value);
  }

  async forgetTask(id: string): Promise<void> {
    await this.ask("DELETE FROM invardiff.task WHERE id = $1", id);
  }

  async keptKeys(): Promise<readonly string[]> {
    return (await this.ask("SELECT key FROM invardiff.kept")).map(({ key }) => `${key}`);
  }

  async forgetKept(beginning: string): Promise<void> {
    await this.ask("DELETE FROM invardiff.kept WHERE starts_with(key, $1)", beginning);
  }

  async everything(): Promise<string> {
    const tables = await this.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'invardiff'");
    const rows = await Promise.all(
      tables.map(({ tablename }) => this.ask(`SELECT * FROM invardiff.${tablename}`)),
    );
    return JSON.stringify(rows);
  }

  async leftovers(): Promise<readonly string[]> {
    const tables = ["task", "event", "ticket", "kept", "promise", "rate"]; // others have a row for each model, key or worker
    const counts = await Promise.all(tables.map((table) => this.#count(table)));
    return tables.filter((_, i) => counts[i] !== 0);
  }

  async workerNotes(): Promise<string> {
    const rows = await this.ask("SELECT note FROM invardiff.worker WHERE model = 'toy'");
    return rows.map(({ note }) => note).join();
  }

  async setSpeed(speed: number): Promise<void> {
    const note = { ...JSON.parse(await this.workerNotes()), speed };
    await this.ask("UPDATE invardiff.worker SET note = $1", JSON.stringify(note));
  }

  async breakPromises(): Promise<void> {
    await this.ask("UPDATE invardiff.promise SET due = 1");
  }

  async leftOfRates(): Promise<readonly number[]> {
    const rows = await this.ask("SELECT expires - invardiff.now_ms() AS left FROM invardiff.rate");
    return rows.map(({ left }) => Number(left));
  }

  async giveTicket(id: string, holder: string | undefined): Promise<void> {
    const until = holder === undefined ? 0 : Date.now() + 60_000;
    await this.ask(
      "UPDATE invardiff.ticket SET owner = $2, until = $3 WHERE id = $1",
      ...[id, holder ?? "", until],
    );
  }

  async watched(): Promise<number> {
    const [row] = await this.ask("SELECT count(watched) AS tasks FROM invardiff.task");
    return Number(row?.["tasks"]);
  }

  async leftToFollow(id: string): Promise<number> {
    return Number(await this.field(id, "watched")) - Date.now();
  }

  async leaveAlone(id: string): Promise<void> {
    await this.setField(id, "watched", 1);
  }

  async forgetLook(): Promise<void> {
    await this.ask("UPDATE invardiff.looked SET at = 0");
  }

  async usedBytes(): Promise<number> {
    const [row] = await this.ask("SELECT pg_database_size(current_database()) AS bytes");
    return Number(row?.["bytes"]);
  }

  /** Refuses to write, as where its disk is full; it reads on. */
  async setFull(isFull: boolean): Promise<void> {
    await this.ask(
      `CREATE OR REPLACE FUNCTION invardiff.refuse() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN RAISE disk_full; END $$`,
    );
    for (const table of ["task", "event", "ticket", "kept"]) {
      await this.ask(
        isFull
          ? `CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON invardiff.${table} EXECUTE FUNCTION invardiff.refuse()`
          : `DROP TRIGGER refused ON invardiff.${table}`,
      );
    }
  }

  async lockOut(password: string): Promise<void> {
    const client = await this.#connected(password);
    await client.query("ALTER USER invardiff PASSWORD 'another'");
    await client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    );
    await client.end();
  }

  /** Asks it, as its owner. */
  async ask(
    statement: string,
    ...values: readonly unknown[]
  ): Promise<readonly Record<string, unknown>[]> {
    const client = await this.#connected();
    try {
      return (await client.query(statement, values)).rows;
    } finally {
      await client.end();
    }
  }

  async #connected(password = ""): Promise<pg.Client> {
    const client = new pg.Client(Object.assign(new URL(this.url), { password }).href);
    client.on("error", () => {}); // where it dies first
    await client.connect();
    return client;
  }

  async #count(table: string): Promise<number> {
    const [row] = await this.ask(`SELECT count(*) AS rows FROM invardiff.${table}`);
    return Number(row?.["rows"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
    await Deno.remove(this.folder, { recursive: true });
  }

  async #answers(): Promise<boolean> {
    const { success } = await command("pg_isready", [
      ...["-h", "127.0.0.1", "-p", `${this.port}`],
    ]).output();
    return success;
  }
}

/** What initdb makes is there for all tests that need no password: it takes seconds. Remove it after a change of how. */
const TEMPLATE = new URL("../../../.cache/postgres/", import.meta.url);

/** Makes a folder of data, for a user who has this password or needs none. */
async function makeData(folder: string, password: string | undefined): Promise<void> {
  if (password !== undefined) return await initialize(folder, password);
  const template = `${TEMPLATE.pathname}${BINARIES?.split("/").at(-2)}`;
  if (!existsSync(template)) {
    await initialize(folder);
    const unfinished = `${template}-${crypto.randomUUID()}`;
    await Deno.mkdir(TEMPLATE, { recursive: true });
    await run(new Deno.Command("cp", { args: ["-r", folder, unfinished] }));
    await Deno.rename(unfinished, template).catch(() => {}); // others were faster
    return;
  }
  await run(new Deno.Command("cp", { args: ["-r", template, folder] }));
  if (Deno.uid() === 0) {
    await run(new Deno.Command("chown", { args: ["-R", "postgres:postgres", folder] }));
  }
}

async function initialize(folder: string, password?: string): Promise<void> {
  await Deno.writeTextFile(`${folder}.password`, password ?? "unused");
  const auth = password === undefined ? "trust" : "scram-sha-256";
  await run(command("initdb", [
    ...["--pgdata", folder, "--username", "invardiff", "--encoding", "UTF8", "--wal-segsize=1"],
    ...["--no-locale", "--no-sync", "--no-instructions", "--pwfile", `${folder}.password`],
    ...["--auth", auth],
  ]));
}

async function run(command: Deno.Command): Promise<void> {
  const { success, stderr } = await command.output();
  if (!success) throw new Error(`it failed: ${new TextDecoder().decode(stderr)}`);
}

function command(
  program: string,
  args: readonly string[],
  stderr: "null" | "piped" = "piped",
): Deno.Command {
  if (BINARIES === undefined) {
    throw new Error("postgresql must be installed: see CONTRIBUTING.md");
  }
  const [first, ...rest] = [...AS_USER, `${BINARIES}/${program}`, ...args];
  return new Deno.Command(first!, { args: rest, cwd: "/", stdout: "null", stderr });
}
