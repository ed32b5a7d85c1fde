# Kernels, nets, training and the program on Mesa's software drivers: Vulkan, then GL.

gpu_needs() {
    has_library libvulkan.so.1 || echo libvulkan1
    has_library libEGL.so.1 || echo libegl1
    has_library libGLESv2.so.2 || echo libgles2
    compgen -G '/usr/share/vulkan/icd.d/lvp_icd*.json' >/dev/null || echo mesa-vulkan-drivers
    compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || compgen -G '/usr/lib/*/libgallium*.so' >/dev/null || echo libgl1-mesa-dri
}

gpu_steps() {
    step "gpu tests, software Vulkan" env MTCMCN_TEST_DEVICE=llvmpipe "${test[@]}" --test gpu
    step "gpu tests, GL" env MTCMCN_TEST_DEVICE=gl "${test[@]}" --test gpu
}
