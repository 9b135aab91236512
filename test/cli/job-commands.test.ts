import { playCommands } from "./play-commands.ts";

playCommands("job-commands");
