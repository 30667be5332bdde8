export type ParsingOptions = object
export type WritingOptions = object
export declare function read(...args: unknown[]): never
export declare function readFile(...args: unknown[]): never
export declare function write(...args: unknown[]): never
export declare function writeFile(...args: unknown[]): never
export declare const utils: Record<string, (...args: unknown[]) => never>
