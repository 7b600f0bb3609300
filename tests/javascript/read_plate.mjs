// Prints what JavaScript readers find in an OME-Zarr plate, as JSON:
//     node read_plate.mjs PLATE
// zarrita reads every array; ome-zarr.js the multiscale metadata, and the level that a viewer of
// the whole plate shows.
import * as zarr from "zarrita";
import FileSystemStore from "@zarrita/storage/fs";
import * as omeZarr from "ome-zarr.js";

const attributesOf = (group) => group.attrs.ome ?? group.attrs;

async function readArray(group, path) {
  const array = await zarr.open(group.resolve(path), { kind: "array" });
  const { data, shape } = await zarr.get(array);
  let sum = 0;
  for (const value of data) sum += Number(value);
  const size = shape[3] * shape[4];
  const last = Array.from(data.slice(data.length - size), Number);
  return { path, shape, dtype: array.dtype, sum, last };
}

async function readImage(root, path) {
  const group = await zarr.open(root.resolve(path), { kind: "group" });
  const { multiscales, omero } = attributesOf(group);
  const levels = [];
  for (const { path: level } of multiscales[0].datasets) levels.push(await readArray(group, level));
  return { path, levels, channels: omero?.channels.map((channel) => channel.label) };
}

const plate = process.argv[2];
const root = await zarr.open(new FileSystemStore(plate), { kind: "group" });
const images = [];
for (const { path: well } of attributesOf(root).plate.wells) {
  const group = await zarr.open(root.resolve(well), { kind: "group" });
  for (const { path: field } of attributesOf(group).well.images) {
    const image = await readImage(root, `${well}/${field}`);
    const store = new FileSystemStore(`${plate}/${well}/${field}`);
    const smallest = await omeZarr.getMultiscaleWithArray(store, -1);
    image.smallest = smallest.arr.shape;
    image.axes = smallest.multiscale.axes.map((axis) => `${axis.name} ${axis.unit ?? ""}`.trim());
    image.labels = [];
    try {
      const labels = await zarr.open(root.resolve(`${image.path}/labels`), { kind: "group" });
      for (const name of attributesOf(labels).labels) {
        image.labels.push(await readImage(root, `${image.path}/labels/${name}`));
      }
    } catch (error) {
      if (!(error instanceof zarr.NotFoundError)) throw error;
    }
    images.push(image);
  }
}
console.log(JSON.stringify(images));
