import { expect, test } from "vitest";
import { typed, typedAll } from "../../src/admin/finding.ts";

test("a word of a command is quoted where a shell would read more into it", () => {
  expect(["mail", "a/b:c", "my queue", "it's", "$HOME"].map(typed)).toEqual(["mail", "a/b:c", "'my queue'", String.raw`'it'\''s'`, "'$HOME'"]);
});

test("what would be read as an option is none", () => {
  expect(typedAll("mail", "a-b", "my id")).toBe("mail a-b 'my id'");
  expect(typedAll("mail", "--all")).toBe("-- mail --all");
});
