/** The ninth program over Redis: the contract that its producers and consumers, each a process, have in common. */
import { defineJob, typed } from "millrace/job";

export const numbers = defineJob("numbers", { payload: typed<number>() });
