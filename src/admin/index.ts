/** The entry `millrace/admin`: every operator command as a function, plain data in and plain data out. */
export { audit, type AuditOptions, type TrailEntry } from "./audit.ts";
export type { BulkResult, JobSelection } from "./bulk.ts";
export { discardDead, exportDead, listDead, listDeadByQueue, retryDead, showDead, type DeadGroup, type DeadGroups, type DeadOptions, type ShownGroup } from "./dead.ts";
export { doctor, type Diagnosis, type DoctorOptions } from "./doctor.ts";
export { showFlow, type FlowNode, type FlowOptions } from "./flow.ts";
export type { Finding } from "./finding.ts";
export { cancelJobs, promoteJobs, purgeQueue, removeJobs, retryJobs, type CancelResult } from "./job-changes.ts";
export { copyJobs, editJob, type EditResult, type JobEdit } from "./job-edit.ts";
export type { JobFilter } from "./job-filter.ts";
export { jobLogs, showJob, type ShownJob } from "./job-show.ts";
export { listJobs, type JobRow } from "./jobs.ts";
export { listLimits, setLimits, showLimits, type Limits, type LimitsSet } from "./limits.ts";
export { connectOperator, type Operator, type OperatorOptions } from "./operator.ts";
export { watchOverview, type Overview } from "./overview.ts";
export { deleteQueue, pauseQueue, resumeQueue, type DeleteOptions, type DeleteResult, type PauseResult } from "./queue-changes.ts";
export { exportQueue, type ExportLine } from "./queue-export.ts";
export { importQueue, type ImportOptions, type ImportResult } from "./queue-import.ts";
export { joinQueue, type JoinOptions, type JoinResult } from "./queue-join.ts";
export { giveBackMove, type GiveBackOptions, type GivenBack } from "./queue-give-back.ts";
export { moveQueue, type MoveOptions, type MoveResult } from "./queue-move.ts";
export { queueStats, type QueueStats, type StatsOptions } from "./queue-stats.ts";
export { listQueues, type QueueRow } from "./queues.ts";
export { listSchedules, pauseSchedule, putSchedule, removeSchedule, resumeSchedule, runSchedule, type RemovedSchedule, type RunResult, type SchedulePut, type ScheduleRow } from "./schedules.ts";
export { effectiveSettings, type SettingRow } from "./settings.ts";
export { loadConfig, type Config } from "../config.ts";
export type { Change } from "./recorded.ts";
export { cancelTask, listTasks, type CancelledTask, type CancelTaskOptions, type StockWorker, type TaskFilter, type TaskList, type TaskRow, type Unlisted } from "./tasks.ts";
export {
  dumpWorkers,
  pingWorkers,
  profileWorkers,
  quietWorkers,
  restartWorkers,
  resumeWorkers,
  scaleWorkers,
  setWorkerDebug,
  setWorkerLogLevel,
  stopWorkers,
  type StopWorkersOptions,
  type WorkerAnswer,
  type WorkerAnswers,
} from "./worker-verbs.ts";
export { listStockWorkers, listWorkers, type StockWorkers, type WorkerRow, type Workers } from "./workers.ts";
export type { LastError, PoolEntry, PoolState, RunningTask } from "../control/pool-entry.ts";
export type { DumpedTask, PoolDump, PoolEnd, PoolStand, ScaledPool } from "../control/verbs.ts";
