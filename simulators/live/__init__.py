"""The live city: it stands where the devices stand, answers over Modbus TCP and reports over MQTT."""
