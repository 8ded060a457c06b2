//! What the API's description says of variables: more than their types could say by themselves.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, OneOfBuilder, RefBuilder, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{MAX_INTEGER, MAX_TEXT_BYTES, Variable, VariableType, VariableValue};
use crate::domain::ids::VariableName;

type Named = (String, RefOr<Schema>);

impl VariableType {
    const ALL: [Self; 4] = [Self::String, Self::Integer, Self::Number, Self::Boolean];

    /// The values that a variable of this type can hold.
    fn values(self) -> ObjectBuilder {
        let values = ObjectBuilder::new();
        let bounded = |values: ObjectBuilder, kind| {
            let most = MAX_INTEGER as f64;
            let values = values.schema_type(SchemaType::new(kind));
            values.minimum(Some(-most)).maximum(Some(most))
        };
        match self {
            Self::String => values
                .schema_type(SchemaType::new(Type::String))
                .max_length(Some(MAX_TEXT_BYTES)),
            Self::Integer => bounded(values, Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
            Self::Number => bounded(values, Type::Number)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double))),
            Self::Boolean => values.schema_type(SchemaType::new(Type::Boolean)),
        }
    }
}

impl PartialSchema for VariableValue {
    fn schema() -> RefOr<Schema> {
        let kinds = [
            VariableType::Boolean,
            VariableType::Number,
            VariableType::String,
        ];
        let values = kinds.into_iter().fold(OneOfBuilder::new(), |values, kind| {
            values.item(kind.values())
        });
        let description = "What a variable holds; of a text, at most 1,024 bytes of UTF-8.";
        values.description(Some(description)).into()
    }
}

impl ToSchema for VariableValue {
    fn name() -> Cow<'static, str> {
        "VariableValue".into()
    }
}

impl PartialSchema for Variable {
    /// One object per type, so that the default is of it.
    fn schema() -> RefOr<Schema> {
        let name = RefBuilder::new().ref_location_from_schema_name(VariableName::name());
        let name: RefOr<Schema> = RefOr::Ref(name.build());
        let variable = |kind: VariableType| {
            let tag = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
            let default = "What it holds where the environment has no value for it.";
            ObjectBuilder::new()
                .property("name", name.clone())
                .required("name")
                .property("type", tag.enum_values(Some([kind.to_string()])))
                .required("type")
                .property("default", kind.values().description(Some(default)))
                .required("default")
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        let variables = VariableType::ALL
            .into_iter()
            .fold(OneOfBuilder::new(), |variables, kind| {
                variables.item(variable(kind))
            });
        let description = "A variable of an interface.";
        variables.description(Some(description)).into()
    }
}

impl ToSchema for Variable {
    fn name() -> Cow<'static, str> {
        "Variable".into()
    }

    fn schemas(schemas: &mut Vec<Named>) {
        schemas.push((VariableName::name().into_owned(), VariableName::schema()));
    }
}
