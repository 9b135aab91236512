/** An operator of a test's own. */
import { onTestFinished } from "vitest";
import { connectOperator, type Operator, type OperatorOptions } from "../../src/admin/operator.ts";
import { recordedLog } from "../support/app.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

/** Under a prefix of its own unless told; closed when the test is over. */
export function testOperator(options: OperatorOptions = {}): Operator {
  const operator = connectOperator({ redis: redisUrl(), prefix: freshPrefix(), who: "tester", log: recordedLog(), ...options });
  onTestFinished(() => operator[Symbol.asyncDispose]());
  return operator;
}

/** All that an iterable gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
