/**
 * What JSON can carry, as types: the same rules as the walk in `codec.ts`, said by the compiler at the contract.
 *
 * What only a value can show (NaN, integers beyond 2^53, circles, size) is left to the walk.
 */
type Atom = string | number | boolean | null | undefined;

/** Names, by path, what JSON cannot carry in T; `never` when all is well. Looks five levels deep. */
export type NotJson<T, P extends string, Deep extends 0[] = []> =
  unknown extends T ? never
  : Deep["length"] extends 5 ? never
  : T extends Atom ? never
  : T extends bigint ? `${P} is a bigint`
  : T extends symbol ? `${P} is a symbol`
  : T extends Date ? `${P} is a Date: take z.iso.datetime() and transform it`
  : T extends ReadonlyMap<unknown, unknown> ? `${P} is a Map`
  : T extends ReadonlySet<unknown> ? `${P} is a Set`
  : T extends ArrayBufferView | ArrayBuffer ? `${P} is binary: take a base64 string`
  : T extends (...args: never) => unknown ? `${P} is a function`
  : T extends { toJSON(...args: never): unknown } ? `${P} has toJSON: take what it gives`
  : T extends readonly unknown[] ? NotJsonItem<T, `${P}[]`, [...Deep, 0]>
  : T extends object ? { [K in keyof T & (string | number)]: NotJson<T[K], `${P}.${K}`, [...Deep, 0]> }[keyof T & (string | number)]
  : never;

/** An undefined item would come back as null. An optional place at a tuple's end is only absent, and so is fine. */
type NotJsonItem<T extends readonly unknown[], P extends string, Deep extends 0[]> =
  number extends T["length"] ? NotJson<T[number], P, Deep> | NotUndefined<T[number], P>
  : NotJson<T[number], P, Deep> | NotUndefined<Required<T>[number], P>;

type NotUndefined<T, P extends string> =
  unknown extends T ? never : undefined extends T ? `${P} may be undefined: take null` : never;

/** Asked of a schema's input: all of it is JSON, and it is something. */
export type Carried<T, P extends string> =
  [NotJson<T, P> | NotUndefined<T, P>] extends [never] ? unknown : { readonly "JSON cannot carry": NotJson<T, P> | NotUndefined<T, P> };
