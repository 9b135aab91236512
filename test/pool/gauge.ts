/** A handler that counts how many of it run at once. */
export function gauge() {
  const seen = { now: 0, most: 0, runs: 0 };
  const handle = async (): Promise<void> => {
    seen.now += 1;
    seen.runs += 1;
    seen.most = Math.max(seen.most, seen.now);
    await new Promise((resolve) => setTimeout(resolve, 2));
    seen.now -= 1;
  };
  return { seen, handle };
}
