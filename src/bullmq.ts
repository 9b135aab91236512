/** The entry `millrace/bullmq`: for teams that have BullMQ. Their processors on our pools. */
export { fromProcessor, type ProcessorKeep, type ProcessorOptions } from "./pool/processor.ts";
export { createMillraceBackend, millraceBackend, type BackendCounts, type BullMQ, type MillraceBackend } from "./store/batched-backend.ts";
