//! The bodies of writes, as the API's description shows them.

use std::borrow::Cow;
use std::marker::PhantomData;

use utoipa::openapi::schema::RefBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::ids::Reason;

/// The members of `C` and a `reason`: what [`super::Write`] reads. One closed object; a flattened member would be described as
/// two of them at once, which nothing satisfies.
pub struct WriteBody<C>(PhantomData<C>);

impl<C: PartialSchema> PartialSchema for WriteBody<C> {
    /// # Panics
    /// The members are no object.
    fn schema() -> RefOr<Schema> {
        let RefOr::T(Schema::Object(mut members)) = C::schema() else {
            panic!("the members of a command are an object");
        };
        let reason = RefBuilder::new()
            .ref_location_from_schema_name(Reason::name())
            .description(Some("Why, in one line."));
        let name = "reason".to_owned();
        members.required.push(name.clone());
        members.properties.insert(name, RefOr::Ref(reason.build()));
        Schema::Object(members).into()
    }
}

impl<C: ToSchema> ToSchema for WriteBody<C> {
    fn name() -> Cow<'static, str> {
        format!("{}Body", C::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        C::schemas(schemas);
        schemas.push((Reason::name().into_owned(), Reason::schema()));
    }
}
