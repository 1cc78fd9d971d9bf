"""An example of stillhouse's plug-ins. Each module is imported only when a spec names what is in it."""
