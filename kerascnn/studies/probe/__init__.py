"""The probe: ranks architectures quickly by a linear probe, with their cost."""
