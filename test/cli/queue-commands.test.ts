import { playCommands } from "./play-commands.ts";

playCommands("queue-commands");
