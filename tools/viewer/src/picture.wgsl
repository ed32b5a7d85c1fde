// picture: quads cut out of a frame that lies in a storage buffer, the very one that the detector reads
//
//   quads   Quad[64]         uniform   where each quad lies, and what of the frame it shows
//   pixels  u32[w * h]       read      packed R, G, B, A bytes
//
// One instance per quad. Twin: src/picture.rs.

struct Quad {
    corners: vec4f,   // left, top, right, bottom in clip space
    x: vec4f,         // frame x of (u, v, 1), and the frame's width
    y: vec4f,         // frame y of (u, v, 1), and the frame's height
    step: vec4f,      // frame pixels per screen pixel along u and v, 0, 0
}

override srgb: bool = false; // whether the target encodes what is written

@group(0) @binding(0) var<uniform> quads: array<Quad, 64>;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) uv: vec2f,
    @location(1) @interpolate(flat) index: u32,
}

@vertex
fn corner(@builtin(vertex_index) vertex: u32, @builtin(instance_index) index: u32) -> Corner {
    let uv = vec2f(f32(vertex & 1u), f32(vertex >> 1u));
    let c = quads[index].corners;
    return Corner(vec4f(mix(c.xy, c.zw, uv), 0.0, 1.0), uv, index);
}

// A pixel of the frame, black outside.
fn texel(x: i32, y: i32, size: vec2i) -> vec3f {
    if x < 0 || y < 0 || x >= size.x || y >= size.y { return vec3f(0.0); }
    return unpack4x8unorm(pixels[y * size.x + x]).rgb;
}

// Enlarged: bilinear; enlarged so much that single pixels are looked at: nearest.
fn enlarged(p: vec2f, size: vec2i, step: f32) -> vec3f {
    if step < 0.25 { return texel(i32(floor(p.x)), i32(floor(p.y)), size); }
    // At the frame's edge the last pixel is repeated.
    let inside = clamp(p, vec2f(0.5), vec2f(size) - 0.5) - 0.5;
    let outside = any(p < vec2f(0.0)) || any(p >= vec2f(size));
    let low = vec2i(floor(inside));
    let t = inside - vec2f(low);
    let high = min(low + 1, size - 1);
    let top = mix(texel(low.x, low.y, size), texel(high.x, low.y, size), t.x);
    let bottom = mix(texel(low.x, high.y, size), texel(high.x, high.y, size), t.x);
    return select(mix(top, bottom, t.y), vec3f(0.0), outside);
}

// Shrunk: the mean of up to 4 x 4 samples spread over the screen pixel.
fn shrunk(p: vec2f, size: vec2i, step: vec2f) -> vec3f {
    let n = vec2i(clamp(ceil(step), vec2f(1.0), vec2f(4.0)));
    var sum = vec3f(0.0);
    for (var j = 0; j < n.y; j++) {
        for (var i = 0; i < n.x; i++) {
            let offset = (vec2f(vec2i(i, j)) + 0.5) / vec2f(n) - 0.5;
            let q = p + offset * step;
            sum += texel(i32(floor(q.x)), i32(floor(q.y)), size);
        }
    }
    return sum / f32(n.x * n.y);
}

@fragment
fn colour(corner: Corner) -> @location(0) vec4f {
    let quad = quads[corner.index];
    let p = vec2f(dot(quad.x.xyz, vec3f(corner.uv, 1.0)), dot(quad.y.xyz, vec3f(corner.uv, 1.0)));
    let size = vec2i(vec2f(quad.x.w, quad.y.w));
    let step = quad.step.xy;
    var rgb: vec3f;
    if max(step.x, step.y) > 1.0 { rgb = shrunk(p, size, step); } else { rgb = enlarged(p, size, max(step.x, step.y)); }
    if srgb {
        let linear = select(pow((rgb + 0.055) / 1.055, vec3f(2.4)), rgb / 12.92, rgb <= vec3f(0.04045));
        rgb = linear;
    }
    return vec4f(rgb, 1.0);
}
