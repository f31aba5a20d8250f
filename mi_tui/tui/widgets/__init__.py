"""The building blocks of the screens: header, form fields, tables, plots."""
