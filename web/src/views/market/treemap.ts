export interface Tile {
  index: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

/**
 * Divides a rectangle into tiles whose areas are proportional to `weights` (falling, positive), as square as
 * may be. Source: Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000.
 */
export function squarify(weights: readonly number[], width: number, height: number): Tile[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum <= 0 || width <= 0 || height <= 0) return [];
  const areas = weights.map((weight) => (weight / sum) * width * height);
  const tiles: Tile[] = [];
  const room = { x: 0, y: 0, width, height };
  let start = 0;
  while (start < areas.length) {
    const side = Math.min(room.width, room.height);
    let end = start + 1;
    let area = areas[start]!;
    while (end < areas.length && worst(areas, start, end + 1, area + areas[end]!, side) <= worst(areas, start, end, area, side)) {
      area += areas[end]!;
      end += 1;
    }
    layRow(tiles, areas, start, end, area, room);
    start = end;
  }
  return tiles;
}

/** The greatest ratio of sides in a row of areas; they fall, so it is that of the first or the last. */
function worst(areas: readonly number[], start: number, end: number, sum: number, side: number): number {
  const square = side * side;
  return Math.max((square * areas[start]!) / (sum * sum), (sum * sum) / (square * areas[end - 1]!));
}

function layRow(
  tiles: Tile[],
  areas: readonly number[],
  start: number,
  end: number,
  area: number,
  room: { x: number; y: number; width: number; height: number },
): void {
  const isColumn = room.width >= room.height;
  const depth = area / (isColumn ? room.height : room.width);
  let at = 0;
  for (let index = start; index < end; index += 1) {
    const length = areas[index]! / depth;
    tiles.push(
      isColumn
        ? { index, x: room.x, y: room.y + at, width: depth, height: length }
        : { index, x: room.x + at, y: room.y, width: length, height: depth },
    );
    at += length;
  }
  if (isColumn) {
    room.x += depth;
    room.width -= depth;
  } else {
    room.y += depth;
    room.height -= depth;
  }
}
