/**
 * The page as a place where files are dropped.
 */

/** Calls `onDrop` with the files that are dropped anywhere on the page, and marks it meanwhile. */
export function takeDrops(onDrop: (files: readonly File[]) => void): void {
  const { body } = document;
  let inside = 0; // each element that is entered counts
  const mark = (change: number): void => {
    inside = Math.max(0, inside + change);
    body.classList.toggle("dropping", inside > 0);
  };
  document.addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  document.addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault(); // which allows the drop
  });
  document.addEventListener("drop", (event) => {
    mark(-inside);
    if (!hasFiles(event)) return;
    event.preventDefault(); // a browser would leave the page for the file
    onDrop([...event.dataTransfer!.files]); // it has files
  });
}

function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes("Files") === true;
}
