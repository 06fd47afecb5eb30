// The binary glTF files that trtkit writes: triangles with normals and one texture, no transforms, no extensions.

const TYPES = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3 };

/** {positions, normals, uvs, triangles, texture} of the first mesh in `bytes`; `texture` is a Blob or null. */
export function readGlb(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== 0x46546c67) throw new Error("the mesh is not a GLB file");
  const length = view.getUint32(12, true);
  const gltf = JSON.parse(new TextDecoder().decode(bytes.subarray(20, 20 + length)));
  const body = bytes.subarray(28 + length);

  const part = (number) => {
    const { byteOffset = 0, byteLength } = gltf.bufferViews[number];
    return body.subarray(byteOffset, byteOffset + byteLength);
  };
  const array = (number) => {
    const { bufferView, byteOffset = 0, componentType, count, type } = gltf.accessors[number];
    const [Kind, size] = [TYPES[componentType], count * WIDTHS[type]];
    const piece = part(bufferView).slice(byteOffset, byteOffset + size * Kind.BYTES_PER_ELEMENT);
    return new Kind(piece.buffer, 0, size);
  };
  const { attributes, indices, material } = gltf.meshes[0].primitives[0];
  const number = gltf.materials?.[material]?.pbrMetallicRoughness?.baseColorTexture?.index;
  const image = number === undefined ? null : gltf.images[gltf.textures[number].source];
  return {
    positions: array(attributes.POSITION),
    normals: array(attributes.NORMAL),
    uvs: array(attributes.TEXCOORD_0),
    triangles: new Uint32Array(array(indices)),
    texture: image && new Blob([part(image.bufferView)], { type: image.mimeType }),
  };
}
