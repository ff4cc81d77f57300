//! How a section of a file becomes a module's `Config`: one line a key, defaults from the module.

/// Defines a section whose keys are fields of a `Config` with `Default`: times are written as `"25s"`, counts
/// and sizes as numbers. What a key means stands in the shipped file and at the field of the `Config`.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident => $config:ty {
        times { $($time:ident),* $(,)? }
        counts { $($count:ident: $number:ty),* $(,)? }
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Deserialize, PartialEq)]
        #[serde(deny_unknown_fields, default)]
        #[allow(missing_docs)]
        pub struct $name {
            $(pub $time: crate::config::HumanDuration,)*
            $(pub $count: $number,)*
        }

        impl Default for $name {
            fn default() -> Self {
                let config = <$config>::default();
                Self { $($time: config.$time.into(),)* $($count: config.$count,)* }
            }
        }

        impl $name {
            /// Puts the section's values into a module's configuration.
            pub fn apply(&self, config: &mut $config) {
                $(config.$time = self.$time.get();)*
                $(config.$count = Clone::clone(&self.$count);)*
            }

            /// The module's configuration with this section's values.
            pub fn to_config(&self) -> $config {
                let mut config = <$config>::default();
                self.apply(&mut config);
                config
            }
        }
    };
}

pub(super) use section;
