//! Generates the protobuf types from `proto/`, and keeps the compiled
//! description of them for the tests.

use std::path::{Path, PathBuf};
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let proto = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", proto.display());

    let mut files = fs::read_dir(proto.join("tradewind/v1"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "proto"));
    files.sort();

    let mut compiler = protox::Compiler::new([&proto])?;
    compiler.include_imports(true).open_files(files)?;
    // Encoded by the compiler: the generated types would drop our field options.
    fs::write(out.join("contract.bin"), compiler.encode_file_descriptor_set())?;
    prost_build::Config::new().btree_map(["."]).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
