/** How long a worker process may take to end. */

/** What closing the connections may take beyond drain and grace. */
export const CLOSE_MS = 2000;
