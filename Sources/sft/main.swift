print("sft")
