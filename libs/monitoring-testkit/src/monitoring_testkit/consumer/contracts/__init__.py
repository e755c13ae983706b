"""What each port of the consumer promises, as tests that its fake and its real adapter pass.

A subclass named Test… provides the fixture of its contract: a stage with the port, and with what a test must see or do
behind the port's back.
"""
