import { expect, test } from "vitest";
import { latency, memory, serverFindings, type ServerLook } from "../../src/admin/server-findings.ts";

const well: ServerLook = { warnings: [], info: new Map(), pingMs: [1, 2, 3] };

test("a server that tells nothing of itself is not blamed for it", () => expect(serverFindings(well)).toEqual([]));

test("latency is judged by the middle of the answers, not by the slowest", () => {
  expect(latency({ ...well, pingMs: [1, 1, 1, 500] })).toBeUndefined();
  expect(latency({ ...well, pingMs: [40, 1, 60, 50] })).toMatchObject({ message: expect.stringContaining("50 ms") as string, evidence: { medianMs: 50, mostMs: 60, samples: 4 } });
});

test("memory is judged by the machine where no maxmemory is set, and an error where hardly any is left", () => {
  const info = (used: number, limit: number, machine: number): ServerLook => ({ ...well, info: new Map([["used_memory", String(used)], ["maxmemory", String(limit)], ["total_system_memory", String(machine)]]) });
  expect(memory(info(79, 100, 1000))).toBeUndefined();
  expect(memory(info(96, 100, 1000))).toMatchObject({ severity: "error", evidence: { limit: "maxmemory" } });
  expect(memory(info(90, 0, 100))).toMatchObject({ severity: "warning", evidence: { limit: "memory of the machine" } });
});

test("what preflight warns of is split into what is wrong and what to type", () => {
  const warnings = [
    { sentence: "nothing is persisted: a restart of the server loses every job: CONFIG SET appendonly yes", evidence: { appendonly: "no", save: "" } },
    { sentence: "the server's clock is 3.0 s ahead of this machine's: delays go by the server's", evidence: { clockOffMs: 3000 } },
  ];
  expect(serverFindings({ ...well, warnings })).toMatchObject([
    { message: "nothing is persisted: a restart of the server loses every job", evidence: { appendonly: "no", save: "" }, remedy: "redis-cli CONFIG SET appendonly yes" },
    { message: "the server's clock is 3.0 s ahead of this machine's: delays go by the server's", evidence: { clockOffMs: 3000 } },
  ]);
});
