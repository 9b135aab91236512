/** All scenarios, in the order of the rows. */
import { f01 } from "./rows/f01-worker-killed.ts";
import { f02 } from "./rows/f02-all-killed.ts";
import { f03 } from "./rows/f03-told-to-end.ts";
import { f04 } from "./rows/f04-never-ends.ts";
import { f05 } from "./rows/f05-rolling-restart.ts";
import { f06 } from "./rows/f06-loop-blocked.ts";
import { f07 } from "./rows/f07-process-stopped.ts";
import { f08 } from "./rows/f08-redis-restarts.ts";
import { f09 } from "./rows/f09-power-lost.ts";
import { f10 } from "./rows/f10-reply-lost.ts";
import { f11 } from "./rows/f11-redis-down.ts";
import { f12 } from "./rows/f12-half-open.ts";
import { f13 } from "./rows/f13-redis-pauses.ts";
import { f14 } from "./rows/f14-redis-full.ts";
import { f15 } from "./rows/f15-unfit-redis.ts";
import { f16 } from "./rows/f16-fail-over.ts";
import { f17 } from "./rows/f17-frozen-primary.ts";
import { f18 } from "./rows/f18-cancelled.ts";
import { f19 } from "./rows/f19-outcomes.ts";
import { f20 } from "./rows/f20-poison.ts";
import { f21 } from "./rows/f21-wrong-clock.ts";
import { f22 } from "./rows/f22-bad-input.ts";
import { f23 } from "./rows/f23-a-million.ts";
import { f24 } from "./rows/f24-between-script-and-reply.ts";
import type { Scenario } from "./scenario.ts";

export const rows: readonly Scenario[] = [f01, f02, f03, f04, f05, f06, f07, f08, f09, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24];
