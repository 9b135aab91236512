/** The article's fourth program: three fetches at once, their results in the order asked. Its argument is a server's URL. */
import { gather, run } from "millrace/concurrency";

const server = process.argv[2] ?? "";

const fetchText = (path: string) => async (signal: AbortSignal): Promise<string> => {
  const response = await fetch(new URL(path, server), { signal });
  return response.text();
};

await run(async () => {
  const pages = await gather([fetchText("/1"), fetchText("/2"), fetchText("/3")]);
  for (const page of pages) console.log(page);
});
