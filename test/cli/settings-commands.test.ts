import { playCommands } from "./play-commands.ts";

playCommands("settings-commands");
