# What needs no adapter: unit tests, tests of the program, kernels in every backend's language.

tests_needs() {
    command -v spirv-val >/dev/null || echo spirv-tools
    command -v glslangValidator >/dev/null || echo glslang-tools
    command -v ffmpeg >/dev/null || echo ffmpeg
}

# Every kernel in every backend's language, through other people's compilers.
translations() {
    local folder=$scratch/translations file checked=0 refused=0
    MTCMCN_TRANSLATIONS=$folder "${test[@]}" --test cpu every_kernel_translates
    for file in "$folder"/*; do
        local compiler
        case $file in
            *.spv) compiler=(spirv-val --target-env vulkan1.1) ;;
            *.comp) compiler=(glslangValidator -S comp) ;;
            *.hlsl) compiler=(glslangValidator -D -V -S comp -e main -o "$scratch/out") ;;
            *) continue ;; # MSL: only Apple's compiler reads it
        esac
        checked=$((checked + 1))
        if ! "${compiler[@]}" "$file" >"$scratch/log" 2>&1; then
            refused=$((refused + 1))
            echo "refused: ${file##*/}"
            head -n 20 "$scratch/log"
        fi
    done
    echo "$checked translations checked, $refused refused"
    [ "$refused" -eq 0 ]
    [ "$checked" -ge 60 ]
}

tests_steps() {
    step "build" "${test[@]}" --no-run
    step "unit tests" "${test[@]}" --lib --bins
    step "doc tests" "${test[@]}" --doc
    step "cpu tests" "${test[@]}" --test cpu
    step "translations" translations
}
