import { expect, it } from "vitest";
import { squarify } from "../src/views/market/treemap";

it("tiles fill the map in proportion to their weights, inside of it", () => {
  const weights = [60, 30, 20, 10, 5, 1];
  const tiles = squarify(weights, 400, 250);
  expect(tiles.map((tile) => tile.index)).toEqual([0, 1, 2, 3, 4, 5]);
  for (const tile of tiles) {
    expect(tile.width * tile.height).toBeCloseTo((weights[tile.index]! / 126) * 400 * 250, 6);
    expect(tile.x + tile.width).toBeLessThanOrEqual(400 + 1e-9);
    expect(tile.y + tile.height).toBeLessThanOrEqual(250 + 1e-9);
  }
});

it("nothing to weigh gives no tiles", () => {
  expect(squarify([], 100, 100)).toEqual([]);
  expect(squarify([1], 0, 100)).toEqual([]);
});
