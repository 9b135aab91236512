import { connect, defineHandler } from "millrace";
import * as j from "../jobs.ts";

defineHandler(j.webhook, {
  async handle() { // error: Type 'string' is not assignable to type 'number'
    return { status: "200" };
  },
});
defineHandler(j.webhook, { async handle() {} }); // error: is not assignable to type
defineHandler(j.nightly, { handle: async () => 5 }); // error: Type 'number' is not assignable to type 'void'
defineHandler(j.welcome, { async handle({ too }) { return void too; } }); // error: Property 'too' does not exist
defineHandler(j.resize, {
  async handle({ path }, task) {
    await task.progress({ percnt: 5 }); // error: 'percnt' does not exist
    await task.progress(5); // error: Argument of type 'number' is not assignable
    return { path };
  },
});
defineHandler(j.nightly, { chunk: { size: 3 }, async handle() {} }); // error: 'chunk' does not exist
defineHandler(j.nightly, { concurrency: "5", async handle() {} }); // error: Type 'string' is not assignable to type 'number'
defineHandler(j.nightly, {}); // error: Property 'handle' is missing
defineHandler("nightly", { async handle() {} }); // error: Argument of type 'string' is not assignable
connect().pool([async () => {}]); // error: is not assignable
connect().pool([j.nightly]); // error: is missing the following properties
