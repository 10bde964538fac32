//! Nothing personal in clear (D14): each field that could hold text says what it holds.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, Value};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

use crate::contract;

/// Full names of the string and bytes fields of the package without a class.
fn unclassified(pool: &DescriptorPool, package: &str) -> Vec<String> {
    let holds = pool.get_extension_by_name("tradewind.v1.holds").expect("expected the option of options.proto");
    let has_class = |field: &FieldDescriptor| matches!(field.options().get_extension(&holds).as_ref(), Value::EnumNumber(class) if *class != 0);
    pool.all_messages()
        .filter(|message: &MessageDescriptor| message.package_name() == package)
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| matches!(field.kind(), Kind::String | Kind::Bytes) && !has_class(field))
        .map(|field| field.full_name().to_owned())
        .collect()
}

#[test]
fn every_text_and_bytes_field_says_what_it_holds() {
    assert_eq!(unclassified(&contract(), "tradewind.v1"), Vec::<String>::new());
}

/// The check above, on a file that breaks the rule in each way there is.
#[test]
fn a_field_without_a_class_is_found() {
    let source = r#"
        syntax = "proto3";
        package example;
        import "tradewind/v1/options.proto";

        message Outer {
            string classified = 1 [(tradewind.v1.holds) = CLASS_NAME];
            string plain = 2;
            bytes unspecified = 3 [(tradewind.v1.holds) = CLASS_UNSPECIFIED];
            repeated string many = 4;
            map<string, int64> keyed = 5;
            int64 figure = 6;

            message Inner {
                oneof body {
                    bytes nested = 1;
                }
            }
        }
    "#;
    let mut resolver = ChainFileResolver::new();
    resolver.add(Example(source));
    resolver.add(GoogleFileResolver::new());
    resolver.add(IncludeFileResolver::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../proto").into()));
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(Example::NAME).expect("expected valid protobuf");
    let description = compiler.encode_file_descriptor_set();
    let pool = DescriptorPool::decode(description.as_slice()).expect("expected a description of protobuf files");
    assert_eq!(
        unclassified(&pool, "example"),
        [
            "example.Outer.plain",
            "example.Outer.unspecified",
            "example.Outer.many",
            "example.Outer.KeyedEntry.key",
            "example.Outer.Inner.nested",
        ]
    );
}

struct Example(&'static str);

impl Example {
    const NAME: &str = "example.proto";
}

impl FileResolver for Example {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == Example::NAME { File::from_source(name, self.0) } else { Err(protox::Error::file_not_found(name)) }
    }
}
