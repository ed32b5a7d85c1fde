// Index of an invocation or workgroup in a dispatch of any size: past 65,535 workgroups it continues in the
// next row (`Work::groups`).
fn flat_invocation(id: vec3u, width: u32) -> u32 {
    return id.y * 65535u * width + id.x;
}

fn flat_workgroup(workgroup: vec3u) -> u32 {
    return workgroup.y * 65535u + workgroup.x;
}
