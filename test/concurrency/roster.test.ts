import { expect, test } from "vitest";
import { array, assert, constant, nat, oneof, property } from "fast-check";
import { Roster, type Place } from "../../src/concurrency/roster.ts";

test("lists those who are in it, oldest first, whoever came and left", () => {
  const steps = array(oneof(constant("come"), nat(20)), { maxLength: 100 });
  assert(
    property(steps, (taken) => {
      const roster = new Roster<number>();
      const places: Place<number>[] = [];
      let expected: number[] = [];
      for (const step of taken) {
        const place = step === "come" ? undefined : places[step];
        if (place === undefined) {
          expected.push(places.length);
          places.push(roster.add(places.length));
        } else {
          roster.leave(place);
          expected = expected.filter((member) => member !== place.member);
        }
        expect([...roster]).toEqual(expected);
        expect(roster.size).toBe(expected.length);
      }
    }),
  );
});

test("goes through those who were in it when it began, though they leave meanwhile", () => {
  const roster = new Roster<string>();
  const places = ["a", "b", "c"].map((member) => roster.add(member));
  const seen: string[] = [];
  for (const member of roster) {
    for (const place of places) roster.leave(place);
    seen.push(member);
  }
  expect(seen).toEqual(["a", "b", "c"]);
  expect(roster.size).toBe(0);
});

test("who has left keeps nobody alive", () => {
  const roster = new Roster<string>();
  const [first, second] = [roster.add("a"), roster.add("b")];
  roster.add("c");
  roster.leave(second);
  roster.leave(first);
  expect([first, second].flatMap(({ previous, next }) => [previous, next])).toEqual([undefined, undefined, undefined, undefined]);
});
