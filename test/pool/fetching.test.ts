import { expect, test } from "vitest";
import { StateError } from "../../src/errors.ts";
import { Fetching } from "../../src/pool/fetching.ts";
import { settled } from "../concurrency/settlement.ts";

/** Counts how often it began, and how often it was told to end. */
function fetched(fetching: Fetching) {
  const seen = { begun: 0, ended: 0, isOver: false };
  const fetch = (quiet: AbortSignal): Promise<void> => {
    seen.begun += 1;
    return new Promise((resolve) => quiet.addEventListener("abort", () => ((seen.ended += 1), resolve())));
  };
  void fetching.keepOn(fetch).then(() => (seen.isOver = true));
  return seen;
}

test("fetches until it is quiet, and again when it is resumed, until it is to end", async () => {
  const fetching = new Fetching();
  const seen = fetched(fetching);
  for (let round = 1; round <= 3; round += 1) {
    fetching.quiet();
    fetching.quiet();
    await settled();
    expect(seen).toEqual({ begun: round, ended: round, isOver: false });
    expect(fetching.isQuiet).toBe(true);
    fetching.resume();
    fetching.resume();
    await settled();
    expect(seen).toEqual({ begun: round + 1, ended: round, isOver: false });
  }
  fetching.end();
  await settled();
  expect(seen).toEqual({ begun: 4, ended: 4, isOver: true });
  expect(() => fetching.resume()).toThrow(StateError);
});

test("resumed before it has become quiet it fetches on", async () => {
  const fetching = new Fetching();
  const seen = fetched(fetching);
  fetching.quiet();
  fetching.resume();
  await settled();
  expect(seen).toEqual({ begun: 2, ended: 1, isOver: false });
});

test("ends while it is quiet, and begins nothing where it was quiet from the start", async () => {
  const fetching = new Fetching();
  fetching.quiet();
  const seen = fetched(fetching);
  await settled();
  fetching.end();
  await settled();
  expect(seen).toEqual({ begun: 0, ended: 0, isOver: true });
});
