//! The committed schemas (`schemas/{version}/{class}.txt`), as the product ships them.

use include_dir::{Dir, include_dir};

use crate::columns::{Columns, InvalidColumns};
use crate::schema::Schema;

static SCHEMAS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../schemas");

impl Columns {
    /// The committed text of a class's schema.
    pub fn committed(schema: &Schema, class: &str) -> Option<&'static str> {
        SCHEMAS.get_file(format!("{}/{class}.txt", schema.version))?.contents_utf8()
    }

    /// The committed columns of a class; `None` when no schema of it is committed.
    ///
    /// # Errors
    /// When the committed text does not fit the tables, which a test rules out.
    pub fn embedded(schema: &Schema, class: &str) -> Option<Result<Self, InvalidColumns>> {
        let text = Self::committed(schema, class)?;
        let (id, _) = schema.class_named(class)?;
        Some(Self::parse(schema, id, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ShapeKind, Version};

    #[test]
    fn every_committed_schema_fits_the_tables_and_its_bounds() {
        let mut seen = 0;
        for schema in Version::ALL.map(Schema::get) {
            for shape in schema.shapes.iter().filter(|shape| shape.kind == ShapeKind::Class) {
                let Some(columns) = Columns::embedded(schema, shape.name) else { continue };
                let columns = columns.unwrap();
                assert_eq!(Some(columns.to_text().as_str()), Columns::committed(schema, shape.name));
                assert!(columns.leaves() <= 260, "{} has {} leaves", shape.name, columns.leaves());
                seen += 1;
            }
        }
        assert!(seen > 0);
    }
}
