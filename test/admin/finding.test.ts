import { expect, test } from "vitest";
import { typed } from "../../src/admin/finding.ts";

test("a word of a command is quoted where a shell would read more into it", () => {
  expect(["mail", "a/b:c", "my queue", "it's", "$HOME"].map(typed)).toEqual(["mail", "a/b:c", "'my queue'", String.raw`'it'\''s'`, "'$HOME'"]);
});
