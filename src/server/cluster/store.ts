/**
 * What the queue's rules need of the store that servers and workers share. Each method does all of what it says or
 * nothing of it, whichever process dies in the middle, so that no two of them can do half of it. What is compared
 * with a time is compared by the store's clock: those of servers and workers may be minutes apart.
 */

import type { RendererFacts } from "../../worker/renderer.ts";
import type { LoggedEvent } from "../event_log.ts";
import type { RateLimit } from "../rates.ts";
import type { ResultStore } from "./results/result_store.ts";
import type { EditFiles, Task, TaskRequest } from "./task.ts";

/** What is added beside a request. */
export interface NewTask {
  readonly id: string;
  readonly model: string;
  readonly shape: string;
  readonly pictures: number;
  /** Multiply-accumulates of all of it. */
  readonly macs: number;
  /** Steps that it takes. */
  readonly steps: number;
  readonly request: TaskRequest;
  /** Whose it is; empty without keys. */
  readonly asker: string;
  /** Whether its owner finds it in the list of jobs. */
  readonly listed: boolean;
  /** Milliseconds without a follower after which it is cancelled; 0 for never. */
  readonly unwatched: number;
  /** From now, by the store's clock, to its deadline. */
  readonly deadlineSeconds: number;
  readonly files?: EditFiles | undefined;
}

/** For how many tasks there is room, and how soon for more. */
export interface Room {
  /** Most that wait. */
  readonly most: number;
  /** Fewer than these that wait would leave renderers without work. */
  readonly enough: number;
  /** Multiply-accumulates a second of all workers. */
  readonly speed: number;
  /** Longest time that is promised, in seconds. */
  readonly longest: number;
}

/** The priority of a task's ticket, or after how many seconds its client should come back. */
export type Added =
  | { readonly kind: "added"; readonly turn: number }
  | { readonly kind: "full"; readonly seconds: number };

/** How a task ends. */
export interface TaskEnd {
  /** Who may end it; anyone unless given. */
  readonly owner?: string;
  readonly state: "completed" | "failed" | "cancelled";
  /** What is told of its pictures, as JSON. */
  readonly result?: string;
  /** Its failure, packed. */
  readonly error?: string;
}

/** Who claims tasks, and how many. */
export interface TaskClaim {
  readonly owner: string;
  /** Most pictures of a batch of several tasks. */
  readonly pictures: number;
  /** So many workers may be lost over a task. */
  readonly attempts: number;
}

/** What was done of a task. */
export interface TaskProgress {
  readonly owner: string;
  readonly step: number;
  readonly batch: number;
  readonly events: readonly Pick<LoggedEvent, "event" | "data" | "topic">[];
}

/** Tasks, for all that take, draw and tell of them. */
export interface TaskStore extends ResultStore {
  /** Milliseconds that a task is kept when it has ended, with all that it made. */
  readonly keptMs: number;
  /** Adds a task, unless too many wait or have been promised a place; by the rules of `promised_places.ts`. */
  add(task: NewTask, room: Room): Promise<Added>;
  /** The tasks that a ticket stands for from now on; none where others have them, or they have ended. */
  claim(ticket: string, claim: TaskClaim): Promise<readonly string[]>;
  /** Logs what was done of a task; false where it has ended or is someone else's by now. */
  progress(id: string, done: TaskProgress): Promise<boolean>;
  /** Ends a task; false where it has ended, or is someone else's. */
  finish(id: string, end: TaskEnd): Promise<boolean>;
  /** Gives back what a ticket's owner will not do; the loss does not count as an attempt. */
  handBack(ticket: string, owner: string): Promise<void>;
  /** Says that somebody follows a task that is to be watched, as is believed for so many milliseconds. */
  follow(id: string, milliseconds: number): Promise<void>;
  /**
   * Cancels tasks that were to be watched and that nobody follows; where nobody looked for so many milliseconds, their
   * followers get as many to come back.
   */
  endUnwatched(pause: number): Promise<void>;
  /** A task; `undefined` where there is none, or it ended too long ago. */
  read(id: string): Promise<Task | undefined>;
  /** State of a task; `undefined` as above. */
  state(id: string): Promise<string | undefined>;
  /** Events of a task after this one, in order: the next hundred at most. */
  eventsAfter(id: string, after: number): Promise<readonly LoggedEvent[]>;
  /** The pictures that a task begins from. */
  files(id: string): Promise<EditFiles>;
}

/** Who has a task, and until when. */
export interface Duty {
  readonly model: string;
  /** Ticket under which it is drawn, or will be. */
  readonly ticket: string;
  /** Priority of that ticket. */
  readonly turn: number;
  /** Whether its deadline is over, by the store's clock. */
  readonly isOverdue: boolean;
  /** From its beginning to its deadline. */
  readonly seconds: number;
}

/** What waits and what is drawn. */
export interface Backlog {
  /** Ids that wait for a model, the next one first. */
  waiting(model: string): Promise<readonly string[]>;
  /** Ids that are drawn, of all models. */
  running(): Promise<readonly string[]>;
  /** Fields of a task that tell who has it, and until when. */
  duty(id: string): Promise<Duty | undefined>;
  /** Ids of an asker's jobs, the newest first; those that have expired are forgotten. */
  listed(asker: string): Promise<readonly string[]>;
  /** Multiply-accumulates until a task ends: what is left of it and, where it waits, of all that is ahead of it. */
  macsToEnd(id: string): Promise<number>;
  /** How many wait for a model. */
  count(model: string): Promise<number>;
  /** How many are ahead of one that waits for a model. */
  place(model: string, id: string): Promise<number | undefined>;
}

/** What a worker says of itself. */
export interface WorkerNote {
  readonly facts: RendererFacts;
  /** Multiply-accumulates a second; null before it has drawn anything. */
  readonly speed: number | null;
  /** Renderers that it has. */
  readonly renderers: number;
}

/** Milliseconds between a worker's signs of life. */
export const ANNOUNCE_MS = 5000;

/** Workers that are there, and what they can draw. */
export interface WorkerList {
  /** Says that a worker is there, and what it can draw; forgotten when it has not said so for a while. */
  announce(worker: string, says: WorkerNote): Promise<void>;
  /** Takes back what a worker said. */
  leave(worker: string, model: string): Promise<void>;
  /** Models that workers have, or had. */
  models(): Promise<readonly RendererFacts[]>;
  /** Workers of a model that are there. */
  of(model: string): Promise<readonly WorkerNote[]>;
}

/** How often an asker may ask, and the longest time in seconds after which it is told to come back. */
export interface Allowance extends RateLimit {
  readonly longest: number;
}

/** What keys use, by their digests. */
export interface Usage {
  /** Lets a request pass (`undefined`), or says after how many whole seconds there is a place. */
  pass(asker: string, allowance: Allowance): Promise<number | undefined>;
  /** How many tasks of each wait, of all models. */
  depths(): Promise<ReadonlyMap<string, number>>;
}

/** How long a lost worker goes unnoticed: at most the sum. Both in milliseconds. */
export interface LeaseTimes {
  /** How long a ticket is held without a sign of life. */
  readonly lockDuration: number;
  /** How often lost tickets are looked for. */
  readonly stalledInterval: number;
}

/** Thirty seconds are longer than any graph that blocks a thread; see `src/server/cluster/README.md`. */
export const LEASE: LeaseTimes = { lockDuration: 30_000, stalledInterval: 15_000 };

/** A ticket in someone's hands: one for each task, which says whose turn it is. */
export interface HeldTicket {
  /** Id of its task. */
  readonly id: string;
  /** Unlike any other holder's, or this one's at another time. */
  readonly owner: string;
  /** Aborted when it is someone else's, since this process gave no sign of life for too long. */
  readonly signal: AbortSignal;
}

/** Does what a ticket asks for: `done`, or `back` where others shall do it. */
export type Hold = (ticket: HeldTicket) => Promise<"done" | "back">;

/** Hands out tickets of one model. */
export interface TicketOffice {
  /** Adds a task's ticket; one that is there already stays as it is, in whosever hands. */
  add(id: string, turn: number): Promise<void>;
  close(): Promise<void>;
}

/** Takes tickets of one model, a few at a time. */
export interface TicketTaker {
  /** Takes no more tickets and waits for those that are held. */
  close(): Promise<void>;
  /** Ends its connection, whatever waits for the store. */
  abandon(): void;
}

/** How tickets are taken. */
export interface TakerOptions {
  readonly hold: Hold;
  /** How many are held at once. */
  readonly atOnce: number;
  readonly lease: LeaseTimes;
  /** How many workers a ticket may lose. */
  readonly poison: number;
}

/** What is told to all processes, as it happens: something was logged of a task, a task has ended. */
export type Message = "woken" | "ended";

/** One process's connection with the store. */
export interface Store {
  readonly tasks: TaskStore;
  readonly backlog: Backlog;
  readonly workers: WorkerList;
  readonly usage: Usage;
  office(model: string): TicketOffice;
  taker(model: string, options: TakerOptions): TicketTaker;
  /** Calls back with the task's id for each message; one listener each. */
  hear(message: Message, listener: (id: string) => void): Promise<void>;
  /**
   * Another connection, for a worker: what is asked of it waits for a store that restarts, where a server tells its
   * clients to come back.
   *
   * @throws {BackendError} When the store is away at this moment.
   */
  again(): Promise<Store>;
  /** What it is, with its version. */
  version(): Promise<string>;
  /** Says it when jobs may be lost, in sentences. */
  warnings(): Promise<readonly string[]>;
  close(): void;
}

/** What is said of a task whose workers were lost again and again. */
export const LOST: string = JSON.stringify({
  message: "Cannot complete the job: every worker that began it was lost",
  status: 500,
  code: "workers_lost",
});
