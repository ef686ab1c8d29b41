/**
 * A folder of a source, as a source of its own.
 */

import { checkedPath, type Source } from "./source.ts";

/** Opens a folder; it shares the files of the outer source, which its opener closes. */
export function openSubfolder(outer: Source, folder: string): Source {
  const inside = (path: string): string => `${folder}/${checkedPath(path)}`;
  return {
    name: `${folder} in ${outer.name}`,
    size: (path) => outer.size(inside(path)),
    read: (path, range) => outer.read(inside(path), range),
    stream: (path, range, signal) => outer.stream(inside(path), range, signal),
    list: (inner) => outer.list(inner === undefined ? folder : inside(inner)),
    close: () => Promise.resolve(),
  };
}
