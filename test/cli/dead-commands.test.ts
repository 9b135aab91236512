import { playCommands } from "./play-commands.ts";

playCommands("dead-commands");
