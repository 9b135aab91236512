import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { CancelledError, OptionError, StateError } from "../../src/errors.ts";
import { range } from "../../src/concurrency/range.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { allTasks, spawn, type Task } from "../../src/concurrency/task.ts";
import { type TaskGroup, taskGroup } from "../../src/concurrency/task-group.ts";
import { timeout } from "../../src/concurrency/timeout.ts";
import { rejection, settled, settlement } from "./settlement.ts";

const forever = (signal: AbortSignal): Promise<void> => sleep("1h", { signal });

async function crash(message = "crash"): Promise<never> {
  throw new RangeError(message);
}

/** The messages of an AggregateError's errors, groups within groups in brackets. */
function messages(error: unknown): unknown[] {
  expect(error).toBeInstanceOf(AggregateError);
  return (error as AggregateError).errors.map((one: Error) => (one instanceof AggregateError ? messages(one) : one.message));
}

test("gives the body's value once every child has ended", async () => {
  const ended: number[] = [];
  const value = await taskGroup(async (group) => {
    for (const ms of [3, 1]) group.spawn((signal) => sleep(ms, { signal }).then(() => ended.push(ms)));
    return "body";
  });
  expect(value).toBe("body");
  expect(ended).toEqual([1, 3]);
});

test("a child can be awaited and gives its value", async () => {
  const values = await taskGroup(async (group) => {
    const [a, b] = [group.spawn(async () => 42), group.startTask(async (task) => task.name.length, { name: "four" })];
    return [await a, await b];
  });
  expect(values).toEqual([42, 4]);
});

test("children can be added later, by the body and by other children", async () => {
  const order: string[] = [];
  await taskGroup(async (group) => {
    group.spawn(async () => {
      await sleep(1);
      group.spawn(async () => order.push("grandchild"));
    });
    await sleep(0);
    group.spawn(async () => order.push("late"));
  });
  expect(order.toSorted()).toEqual(["grandchild", "late"]);
});

test("a child that was cancelled on its own is no error and leaves its siblings alone", async () => {
  const { cancelled, sibling } = await taskGroup(async (group) => {
    const cancelled = group.spawn(forever);
    const sibling = group.spawn(() => sleep(1).then(() => 11));
    await settled();
    cancelled.cancel();
    return { cancelled, sibling };
  });
  expect(cancelled.cancelled).toBe(true);
  expect(sibling.settled).toEqual({ status: "fulfilled", value: 11 });
});

test("the first error cancels the siblings and the body, and is thrown in an AggregateError", async () => {
  let sibling: Task<void> | undefined;
  let bodyWasCancelled = false;
  const error = await rejection(
    taskGroup(async (group) => {
      group.spawn(() => crash());
      sibling = group.spawn(forever);
      await forever(group.signal).catch((reason: unknown) => {
        bodyWasCancelled = reason instanceof CancelledError;
        throw reason;
      });
    }),
  );
  expect(messages(error)).toEqual(["crash"]);
  expect(sibling?.cancelled).toBe(true);
  expect(bodyWasCancelled).toBe(true);
});

test("waits for the cancelled siblings to end, and collects the errors of their cleaning up", async () => {
  const error = await rejection(
    taskGroup(async (group) => {
      group.spawn(() => crash("first"));
      group.spawn((signal) => forever(signal).finally(() => sleep(1).then(() => crash("cleanup"))));
    }),
  );
  expect(messages(error)).toEqual(["first", "cleanup"]);
});

test("errors of several children that end together all come", async () => {
  const error = await rejection(
    taskGroup(async (group) => {
      for (const name of ["a", "b", "c"]) group.spawn(() => crash(name));
      await forever(group.signal);
    }),
  );
  expect(messages(error)).toEqual(["a", "b", "c"]);
  expect(error).toMatchObject({ message: expect.stringContaining("3 errors") as unknown });
});

test("an error of the body cancels the children and comes last among the errors", async () => {
  let child: Task<void> | undefined;
  const error = await rejection(
    taskGroup(async (group) => {
      child = group.spawn(forever);
      group.spawn((signal) => forever(signal).catch(() => crash("child")));
      await settled();
      await crash("body");
    }),
  );
  expect(messages(error)).toEqual(["child", "body"]);
  expect(child?.cancelled).toBe(true);
});

test("children that have not started when the body fails never start", async () => {
  let started = false;
  const error = await rejection(
    taskGroup((group) => {
      group.spawn(async () => {
        started = true;
      });
      throw new RangeError("at once");
    }),
  );
  expect(messages(error)).toEqual(["at once"]);
  expect(started).toBe(false);
});

test("a body that turns its cancellation into another error adds that error", async () => {
  const error = await rejection(
    taskGroup(async (group) => {
      group.spawn(() => crash("child"));
      await forever(group.signal).finally(() => crash("body"));
    }),
  );
  expect(messages(error)).toEqual(["child", "body"]);
});

test("an AbortError of the body that no cancellation of the group caused is an error like others", async () => {
  const error = await rejection(
    taskGroup(async () => {
      throw new DOMException("somebody else's", "AbortError");
    }),
  );
  expect(messages(error)).toEqual(["somebody else's"]);
});

test("a body that throws CancelledError cancels the children, and the cancellation is thrown", async () => {
  let child: Task<void> | undefined;
  const error = await rejection(
    taskGroup(async (group) => {
      child = group.spawn(forever);
      throw new CancelledError("given up");
    }),
  );
  expect(error).toMatchObject({ name: "CancelledError", message: "given up" });
  expect(child?.cancelled).toBe(true);
});

// -- cancelled from outside

test("cancelling the task around it cancels the children and the body, and the cancellation is thrown", async () => {
  let cancelledChildren = 0;
  let bodyWasCancelled = false;
  const task = spawn(() =>
    taskGroup(async (group) => {
      for (const _ of range(5)) {
        group.spawn((signal) =>
          forever(signal).catch((reason: unknown) => {
            cancelledChildren += 1;
            throw reason;
          }),
        );
      }
      await forever(group.signal).catch((reason: unknown) => {
        bodyWasCancelled = true;
        throw reason;
      });
    }),
  );
  await settled();
  task.cancel("test");
  expect(await rejection(task)).toMatchObject({ name: "CancelledError", message: "test" });
  expect(task.cancelled).toBe(true);
  expect([cancelledChildren, bodyWasCancelled]).toEqual([5, true]);
});

test("cancelled from outside while only children are left, it waits for them and throws the cancellation", async () => {
  const order: string[] = [];
  const task = spawn(() =>
    taskGroup(async (group) => {
      group.spawn((signal) => forever(signal).finally(() => sleep(1).then(() => order.push("child cleaned up"))));
    }),
  );
  await settled();
  task.cancel();
  await rejection(task);
  order.push("task ended");
  expect(task.cancelled).toBe(true);
  expect(order).toEqual(["child cleaned up", "task ended"]);
});

test("a body that awaits a child by itself is not left hanging by a cancellation from outside", async () => {
  const task = spawn(() =>
    taskGroup(async (group) => {
      await group.spawn(forever);
    }),
  );
  await settled();
  task.cancel();
  await rejection(task);
  expect(task.cancelled).toBe(true);
});

test("cancelled from outside, an error of the body comes before the cancellation", async () => {
  const task = spawn(() => taskGroup((group) => forever(group.signal).catch(() => crash("instead"))));
  await settled();
  task.cancel();
  expect(messages(await rejection(task))).toEqual(["instead"]);
});

test("cancelled from outside and failed besides, the errors are thrown and the cancellation stays to be delivered", async () => {
  let entered = false;
  const task = spawn(async () => {
    await taskGroup(async (group) => {
      group.spawn((signal) => forever(signal).catch(() => crash("child")));
      await forever(group.signal);
    }).catch((error: unknown) => expect(messages(error)).toEqual(["child"]));
    await timeout("1h", async () => {
      entered = true;
    });
  });
  await settled();
  task.cancel("still there");
  expect(await rejection(task)).toMatchObject({ message: "still there" });
  expect(entered).toBe(false);
});

test("a body without children that refuses the cancellation from outside completes", async () => {
  const task = spawn(() => taskGroup((group) => forever(group.signal).catch(() => "stayed")));
  await settled();
  task.cancel();
  expect(await task).toBe("stayed");
});

test("cut short by a timeout, its children are cancelled", async () => {
  let child: Task<void> | undefined;
  await rejection(
    // Long enough for the body to begin, also where this process has to wait for a core.
    timeout(50, () =>
      taskGroup(async (group) => {
        child = group.spawn(forever);
      }),
    ),
  );
  expect(child?.cancelled).toBe(true);
});

// -- nested

test("an outer group whose child fails cancels the inner group", async () => {
  let innerChild: Task<void> | undefined;
  const error = await rejection(
    taskGroup(async (outer) => {
      outer.spawn(() => sleep(1).then(() => crash("outer")));
      await taskGroup(async (inner) => {
        innerChild = inner.spawn(forever);
      });
    }),
  );
  expect(messages(error)).toEqual(["outer"]);
  expect(innerChild?.cancelled).toBe(true);
});

test("an inner group's errors come as one error of the outer", async () => {
  let outerChild: Task<void> | undefined;
  const error = await rejection(
    taskGroup(async (outer) => {
      outerChild = outer.spawn(forever);
      await taskGroup(async (inner) => {
        inner.spawn(() => crash("inner"));
      });
    }),
  );
  expect(messages(error)).toEqual([["inner"]]);
  expect(outerChild?.cancelled).toBe(true);
});

test("nested groups that are both cancelled end both, and the cancellation is thrown", async () => {
  const children: Task<void>[] = [];
  const task = spawn(() =>
    taskGroup(async (outer) => {
      children.push(outer.spawn(forever));
      await taskGroup(async (inner) => {
        for (const _ of range(5)) children.push(inner.spawn(forever));
        await forever(inner.signal);
      });
    }),
  );
  await settled();
  task.cancel();
  await rejection(task);
  expect(task.cancelled).toBe(true);
  expect(children.every((child) => child.cancelled)).toBe(true);
});

test("after a group failed, the task around it goes on uncancelled", async () => {
  const task = spawn(async (signal) => {
    await rejection(taskGroup(async (group) => group.spawn(() => crash())));
    expect(signal.aborted).toBe(false);
    return timeout("1h", async () => "went on");
  });
  expect(await task).toBe("went on");
  expect(task.cancelling).toBe(0);
});

test("an inner group's error that is caught does not hide that of the outer one, which ends the body at its next scope", async () => {
  const caught: unknown[] = [];
  let wentOn = false;
  const error = await rejection(
    taskGroup(async (outer) => {
      await taskGroup(async (inner) => {
        inner.spawn(() => crash("inner"));
        outer.spawn(() => crash("outer"));
      }).catch((reason: unknown) => caught.push(messages(reason)));
      await timeout("1h", async () => {
        wentOn = true;
      });
    }),
  );
  expect(caught).toEqual([["inner"]]);
  expect(messages(error)).toEqual(["outer"]);
  expect(wentOn).toBe(false);
});

test("a child that starts one which fails at once is cancelled by that", async () => {
  let wasCancelled = false;
  const error = await rejection(
    taskGroup(async (group) => {
      group.spawn(async (signal) => {
        group.spawn(() => crash());
        await forever(signal).finally(() => (wasCancelled = signal.aborted));
      });
    }),
  );
  expect(messages(error)).toEqual(["crash"]);
  expect(wasCancelled).toBe(true);
});

test("in a group that is cancelled from outside, children are cancelled with the body, not after it", async () => {
  const order: string[] = [];
  const note = (signal: AbortSignal, name: string): Promise<void> => forever(signal).finally(() => sleep(name === "body" ? 5 : 0).then(() => order.push(name)));
  const task = spawn(() =>
    taskGroup(async (group) => {
      group.spawn((signal) => note(signal, "child"));
      await note(group.signal, "body");
    }),
  );
  await settled();
  task.cancel();
  await rejection(task);
  expect(order).toEqual(["child", "body"]);
});

// -- called off

test("called off by its body, it cancels the children and gives what the body gives", async () => {
  let slow: Task<void> | undefined;
  const first = await taskGroup(async (group) => {
    const quick = group.spawn(() => sleep(1).then(() => "first"));
    slow = group.spawn(forever);
    const winner = await quick;
    group.cancel();
    return winner;
  });
  expect(first).toBe("first");
  expect(slow?.cancelled).toBe(true);
});

test("called off by a child, it cancels the body too, without an error", async () => {
  let bodyWasCancelled = false;
  const task = spawn(() =>
    taskGroup(async (group) => {
      group.spawn(async () => group.cancel("enough"));
      await forever(group.signal).catch((error: unknown) => {
        bodyWasCancelled = error instanceof CancelledError && error.message === "enough";
        throw error;
      });
    }),
  );
  expect(await task).toBeUndefined();
  expect(task.cancelled).toBe(false);
  expect(bodyWasCancelled).toBe(true);
});

test("called off before its children have started, it starts none, and takes no more", async () => {
  let started = 0;
  const error = await rejection(
    taskGroup(async (group) => {
      group.spawn(async () => (started += 1));
      group.cancel("enough");
      group.cancel("twice does no harm");
      await rejection(Promise.resolve().then(() => group.spawn(async () => (started += 1))));
      throw new RangeError("of the body");
    }),
  );
  expect(messages(error)).toEqual(["of the body"]);
  expect(started).toBe(0);
});

test("called off, the errors of the children's cleaning up are thrown all the same", async () => {
  const error = await rejection(
    taskGroup(async (group) => {
      group.spawn((signal) => forever(signal).catch(() => crash("cleanup")));
      await settled();
      group.cancel();
    }),
  );
  expect(messages(error)).toEqual(["cleanup"]);
});

test.each([["while its children clean up", true], ["while its body cleans up", false]])("called off and cancelled from outside %s, the cancellation from outside is thrown", async (_, hasChild) => {
  const gate = Promise.withResolvers<void>();
  const task = spawn(() =>
    taskGroup(async (group) => {
      if (hasChild) group.spawn((signal) => forever(signal).finally(() => gate.promise));
      await settled();
      group.cancel("inside");
      if (!hasChild) await forever(group.signal).finally(() => gate.promise);
    }),
  );
  for (const _ of range(3)) await settled();
  task.cancel("outside");
  gate.resolve();
  expect(await rejection(task)).toMatchObject({ name: "CancelledError", message: "outside" });
});

test("calling off a group that has ended does nothing", async () => {
  const group = await taskGroup(async (group) => group);
  group.cancel();
  expect(group.signal.aborted).toBe(false);
});

// -- its end

test("nothing can be added after its end", async () => {
  let kept: TaskGroup | undefined;
  await taskGroup(async (group) => {
    kept = group;
  });
  expect(() => kept?.spawn(async () => 1)).toThrow(StateError);
  expect(() => kept?.startTask(async () => 1)).toThrow(StateError);
});

test("a group that is being cancelled takes nothing more: adding throws its cancellation", async () => {
  const hydras = { started: 0 };
  const error = await rejection(
    taskGroup(async (group) => {
      const hydra = async (): Promise<void> => {
        hydras.started += 1;
        await sleep(0);
        group.spawn(hydra);
        group.spawn(hydra);
      };
      group.spawn(hydra);
      group.spawn(async () => {
        while (hydras.started < 10) await sleep(0);
        await crash("hercules");
      });
    }),
  );
  expect(messages(error)).toEqual(["hercules"]);
  expect(hydras.started).toBeGreaterThanOrEqual(10);
});

test("one of many children that come and go holds only those that live", async () => {
  await taskGroup(async (group) => {
    for (const _ of range(100)) {
      await group.spawn(async () => 1);
      expect(allTasks().length).toBeLessThan(5);
    }
  });
});

test("names its tasks, and context flows into them", async () => {
  const request = new AsyncLocalStorage<string>();
  const seen = await request.run("r-1", () =>
    taskGroup(async (group) => {
      const task = group.spawn(async () => request.getStore(), { name: "yolo" });
      return [task.name, await task];
    }),
  );
  expect(seen).toEqual(["yolo", "r-1"]);
});

test("never starts under a cancellation that has reached nobody yet", async () => {
  const gate = Promise.withResolvers<void>();
  let started = false;
  const task = spawn(async () => {
    await gate.promise;
    await taskGroup(async () => {
      started = true;
    });
  });
  await settled();
  task.cancel();
  gate.resolve();
  await rejection(task);
  expect([task.cancelled, started]).toEqual([true, false]);
});

test("refuses what is no function", async () => {
  expect(await rejection(taskGroup(Promise.resolve() as never))).toBeInstanceOf(OptionError);
  const refused = taskGroup(async (group) => group.spawn(Promise.resolve() as never));
  expect(settlement(refused).state).toBe("pending");
  expect((await rejection(refused)) as AggregateError).toMatchObject({ errors: [expect.any(OptionError)] });
});
