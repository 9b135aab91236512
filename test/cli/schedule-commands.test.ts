import { playCommands } from "./play-commands.ts";

playCommands("schedule-commands");
