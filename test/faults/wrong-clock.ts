/** Loaded before a worker: its clock is wrong by FAULTS_CLOCK_OFF milliseconds. */
const Real = Date;
const offMs = Number(process.env["FAULTS_CLOCK_OFF"]);
const now = (): number => Real.now() + offMs;

globalThis.Date = new Proxy(Real, {
  construct: (_, given: unknown[], target) => Reflect.construct(Real, given.length === 0 ? [now()] : given, target) as Date,
  apply: () => new Real(now()).toString(),
  get: (_, name) => (name === "now" ? now : (Reflect.get(Real, name) as unknown)),
});
