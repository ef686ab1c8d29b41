/** Version of the package, as deno.json has it (a test compares them: deno.json has comments, so it is no JSON module). */
export const VERSION = "0.2.0";
