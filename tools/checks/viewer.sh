# The viewer: panels without a window, the program in a real one (Xvfb).
workspace=(--workspace)

viewer_needs() {
    command -v Xvfb >/dev/null || echo xvfb
    command -v xdotool >/dev/null || echo xdotool
    command -v ffmpeg >/dev/null || echo ffmpeg
    command -v pkg-config >/dev/null || echo pkg-config
    has_library libvulkan.so.1 || echo libvulkan1
    has_library libEGL.so.1 || echo libegl1
    has_library libxkbcommon-x11.so.0 || echo libxkbcommon-x11-0
    has_library libX11-xcb.so.1 || echo libx11-xcb1
    has_library libXcursor.so.1 || echo libxcursor1
    has_library libXi.so.6 || echo libxi6
    has_library libXrandr.so.2 || echo libxrandr2
    compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null || has_library libclang.so || echo libclang-dev
    compgen -G '/usr/share/vulkan/icd.d/lvp_icd*.json' >/dev/null || echo mesa-vulkan-drivers
    compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || compgen -G '/usr/lib/*/libgallium*.so' >/dev/null || echo libgl1-mesa-dri
}

viewer_steps() {
    # The tests of the program come with it, and some tests here compare with what it finds.
    step "viewer, build" "${test[@]}" --no-run --test cpu --test viewer
    step "viewer" "${test[@]}" --test viewer
}
