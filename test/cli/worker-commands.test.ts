import { playCommands } from "./play-commands.ts";

playCommands("worker-commands");
