import { connect } from "millrace";
import * as j from "../jobs.ts";

const app = connect();

await app.put(j.welcome, { too: "a@b.ch" }); // error: 'too' does not exist
await app.put(j.welcome); // error: Expected 2-3 arguments
await app.put(j.welcome, { to: 5 }); // error: Type 'number' is not assignable to type 'string'
await app.put(j.nightly, { to: "a" }); // error: not assignable
await app.put(j.welcome, { to: "a" }, { dealy: "1h" }); // error: 'dealy' does not exist
await app.put(j.welcome, { to: "a" }, { delay: "1 hour" }); // error: Type '"1 hour"' is not assignable
await app.put(j.welcome, { to: "a" }, { id: 17 }); // error: Type 'number' is not assignable to type 'string'
await app.put(j.welcome, { to: "a" }, { runAt: Date.now() }); // error: Type 'number' is not assignable to type 'Date'
await app.put(j.welcome, { to: "a" }, { expireAt: "1h" }); // error: Type 'string' is not assignable to type 'Date'
await app.put(j.welcome, { to: "a" }, { deadline: "soon" }); // error: Type '"soon"' is not assignable
await app.queue(j.welcome).cancel(17); // error: Argument of type 'number' is not assignable to parameter of type 'string'
await app.put(j.reset, { to: "a", at: new Date() }); // error: Type 'Date' is not assignable to type 'string'
await app.put("welcome", { to: "a" }); // error: Argument of type 'string' is not assignable
await app.queue(j.row).putMany([{ line: 1, cell: [] }]); // error: 'cell' does not exist
await app.queue(j.row).putMany([{ line: 1, cells: [] }], { id: (row) => row.line }); // error: Type 'number' is not assignable to type 'string'
j.welcome.item({ name: "a" }); // error: Property 'to' is missing

const handle = await app.put(j.fetchPage, { url: "u" });
console.log((await handle.result()).byte); // error: Property 'byte' does not exist
await handle.cancel({ reason: "user asked" }); // error: is not assignable to parameter of type 'string'
for await (const step of handle.progress()) console.log(step.percent); // error: Property 'percent' does not exist on type 'number'
handle.then(() => 1); // error: Property 'then' does not exist
for await (const delivery of app.queue(j.fetchPage).deliveries()) {
  await delivery.ack(); // error: Expected 1 arguments
}
