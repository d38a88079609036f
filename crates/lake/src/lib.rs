//! Security Lake layout, Parquet encoding, staged outcomes, quarantine.
