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
override zoom: u32 = 0u;     // 0 shrunk, 1 enlarged, 2 enlarged so much that single pixels are looked at

@group(0) @binding(0) var<uniform> quads: array<Quad, 64>;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) p: vec2f,                              // in the frame, px
    @location(1) @interpolate(flat) size: vec2f,        // of the frame, px
    @location(2) @interpolate(flat) step: vec2f,
}

@vertex
fn corner(@builtin(vertex_index) vertex: u32, @builtin(instance_index) index: u32) -> Corner {
    let uv = vec2f(f32(vertex & 1u), f32(vertex >> 1u));
    let quad = quads[index];
    let p = vec2f(dot(quad.x.xyz, vec3f(uv, 1.0)), dot(quad.y.xyz, vec3f(uv, 1.0)));
    return Corner(vec4f(mix(quad.corners.xy, quad.corners.zw, uv), 0.0, 1.0), p, vec2f(quad.x.w, quad.y.w), quad.step.xy);
}

fn texel(x: i32, y: i32, size: vec2i) -> vec3f {
    return unpack4x8unorm(pixels[y * size.x + x]).rgb;
}

// The pixel at p, black outside.
fn nearest(p: vec2f, size: vec2i) -> vec3f {
    if any(p < vec2f(0.0)) || any(p >= vec2f(size)) { return vec3f(0.0); }
    return texel(i32(p.x), i32(p.y), size);
}

fn bilinear(p: vec2f, size: vec2i) -> vec3f {
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

// The mean of up to 4 x 4 samples spread over the screen pixel.
fn mean(p: vec2f, size: vec2i, step: vec2f) -> vec3f {
    let n = vec2i(clamp(ceil(step), vec2f(1.0), vec2f(4.0)));
    var sum = vec3f(0.0);
    for (var j = 0; j < n.y; j++) {
        for (var i = 0; i < n.x; i++) {
            let offset = (vec2f(vec2i(i, j)) + 0.5) / vec2f(n) - 0.5;
            let q = p + offset * step;
            sum += nearest(q, size);
        }
    }
    return sum / f32(n.x * n.y);
}

@fragment
fn colour(corner: Corner) -> @location(0) vec4f {
    let p = corner.p;
    let size = vec2i(corner.size);
    var rgb: vec3f;
    // Known when it is compiled: a device that draws in software walks through all branches that are left.
    if zoom == 0u { rgb = mean(p, size, corner.step); } else if zoom == 1u { rgb = bilinear(p, size); } else { rgb = nearest(p, size); }
    if srgb {
        let linear = select(pow((rgb + 0.055) / 1.055, vec3f(2.4)), rgb / 12.92, rgb <= vec3f(0.04045));
        rgb = linear;
    }
    return vec4f(rgb, 1.0);
}
